"""A bounded journal on local disk: records are in it before their answers go out."""
