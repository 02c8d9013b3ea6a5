"""Who answers, and how the challenger does."""

from boards.frame import Board, Panel, Query, Row

OF_MODEL = '{model=~"$model"}'
CHOSEN = '{model=~"$model", version=~"$version"}'

BOARD = Board(
    "rollout",
    "Tailrace: rollout",
    "State and weight of each rollout, and the arms side by side.",
    [
        Row(
            "State",
            [
                Panel(
                    "Weight of the challenger",
                    "Share of the entities that it answers.",
                    "percentunit",
                    [Query(f"max by (model) (rollout_weight{OF_MODEL})", "{{model}}")],
                ),
                Panel(
                    "Phase",
                    "1 for the phase in force.",
                    "none",
                    [
                        Query(
                            f"max by (model, phase) (rollout_phase{OF_MODEL})",
                            "{{model}} {{phase}}",
                        )
                    ],
                ),
                Panel(
                    "Steps",
                    "Number of the step in force.",
                    "none",
                    [Query(f"max by (model) (rollout_sequence{OF_MODEL})", "{{model}}")],
                ),
                Panel(
                    "Promoted",
                    "Rollouts whose challenger took over.",
                    "none",
                    [Query('sum(rollouts_total{model=~"$model", outcome="promoted"})')],
                    number=True,
                ),
                Panel(
                    "Rolled back",
                    "Rollouts that the verdict, the time-out or a person took back.",
                    "none",
                    [Query('sum(rollouts_total{model=~"$model", outcome="rolled_back"})')],
                    number=True,
                ),
                Panel(
                    "Aborted",
                    "Rollouts that a person ended.",
                    "none",
                    [Query('sum(rollouts_total{model=~"$model", outcome="aborted"})')],
                    number=True,
                ),
                Panel(
                    "Approvals ignored",
                    "Of versions that had their rollout: each has one only.",
                    "none",
                    [Query(f"sum(rollout_approvals_ignored_total{OF_MODEL})")],
                    number=True,
                ),
            ],
        ),
        Row(
            "Arms",
            [
                Panel(
                    "Predictions a second",
                    "By arm and version.",
                    "reqps",
                    [
                        Query(
                            "sum by (arm, version)"
                            f" (rate(predictions_total{CHOSEN}[$__rate_interval]))",
                            "{{arm}} {{version}}",
                        )
                    ],
                ),
                Panel(
                    "Mean score",
                    "Of the newest predictions of each arm, as the live watch sees them.",
                    "percentunit",
                    [
                        Query(
                            f"avg by (arm, version) (watch_mean_score{CHOSEN})",
                            "{{arm}} {{version}}",
                        )
                    ],
                ),
                Panel(
                    "Confidence",
                    "Mean probability of the predicted class, by version.",
                    "percentunit",
                    [
                        Query(
                            "sum by (version)"
                            f" (rate(model_confidence_sum{CHOSEN}[$__rate_interval]))"
                            " / sum by (version)"
                            f" (rate(model_confidence_count{CHOSEN}[$__rate_interval]))",
                            "{{version}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Loading",
            [
                Panel(
                    "Versions in memory",
                    "Of each replica of the predictor.",
                    "none",
                    [Query("sum by (instance) (models_loaded)", "{{instance}}")],
                ),
                Panel(
                    "Time to load",
                    "Mean of download, check and load of a version, so far.",
                    "s",
                    [Query("sum(model_load_seconds_sum) / sum(model_load_seconds_count)", "mean")],
                ),
                Panel(
                    "Versions that could not be loaded",
                    "Attempts so far, by reason.",
                    "none",
                    [
                        Query(
                            f"sum by (reason) (model_load_failures_total{OF_MODEL})"
                            " or on () vector(0)",
                            "{{reason}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)
