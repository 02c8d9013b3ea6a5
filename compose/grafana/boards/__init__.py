"""The dashboards: one module each, a list of rows of panels."""
