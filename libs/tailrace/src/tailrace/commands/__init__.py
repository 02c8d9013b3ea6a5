"""The subcommands of `tailrace`, one module each; the work is done elsewhere."""
