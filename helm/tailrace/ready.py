"""What `helm test` runs: each address in TARGETS must say that it is ready within a minute."""

import os
import sys
import time
import urllib.error
import urllib.request

waiting = os.environ["TARGETS"].split()
last = ""
deadline = time.monotonic() + 60
while waiting and time.monotonic() < deadline:
    try:
        with urllib.request.urlopen(f"http://{waiting[0]}/readyz", timeout=5) as answer:
            print(waiting.pop(0), answer.status, flush=True)  # noqa: T201 - for `helm test --logs`
    except urllib.error.HTTPError as error:
        last = f"{error.code} {error.read().decode(errors='replace').strip()}"
        time.sleep(2)
    except OSError as error:
        last = str(error)
        time.sleep(2)
if waiting:
    sys.exit(f"not ready after a minute: {waiting[0]}: {last}")
