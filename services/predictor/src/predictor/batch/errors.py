"""Why a table is not scored."""


class ScoreError(Exception):
    """Whoever asked has to change something; the text says what. Nothing was written."""
