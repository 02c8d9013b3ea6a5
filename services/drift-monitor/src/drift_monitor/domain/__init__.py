"""What drift is, and how arms are measured: plain Python, no events, no clock.

Times are whole microseconds since 1970 in UTC, so that windows are exact integer arithmetic.
"""
