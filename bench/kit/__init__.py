"""The kit beside a bare confluent-kafka loop and faust-streaming."""
