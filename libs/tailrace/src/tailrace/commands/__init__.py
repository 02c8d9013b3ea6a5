"""The subcommands of `tailrace`, one module each; other packages do the work."""
