"""Health check of a container: is the service in it ready? Exit code 0 when it is."""

import os
import sys
import urllib.request

port = os.environ.get("HTTP_PORT", "8080")
path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=3) as answer:
    sys.exit(0 if answer.status == 200 else 1)
