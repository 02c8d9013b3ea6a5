"""Requests in, answers and `prediction.logged` out; `rollout.step` in, routes out."""
