"""Settings of batch scoring, read from the environment: the predictor's, and the lake."""

from predictor.settings import PredictorSettings
from stores.storage import StorageUri


class ScoreSettings(PredictorSettings):
    """Where the tables lie, beside all that the predictor knows."""

    lake_uri: StorageUri = ".tailrace/lake"
    """Folder or URL (s3://…) under which the Delta tables lie."""
