#!/usr/bin/env bash
# Run tests/vllm in an environment with vLLM for CPUs, which is built where it is not there yet (3 minutes, 3 GB).
# VLLM_ENV: where it is, instead of ~/.cache/audio-eval/vllm-env/DIGEST. PYTHON: what builds it, 3.10 to 3.13.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=tests/vllm/requirements.txt
env=${VLLM_ENV:-${XDG_CACHE_HOME:-$HOME/.cache}/audio-eval/vllm-env/$(sha256sum "$wanted" | cut -c1-16)}

if [ ! -e "$env/.complete" ]; then
  echo "== vLLM's environment: $env"
  rm -rf "$env.building"
  "${PYTHON:-python3}" -m venv "$env.building"
  pip() { "$env.building/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
  if ! pip install --no-deps --requirement "$wanted"; then
    rm -rf "$env.building"
    # an index that is there and lacks something is a fault
    if probe=$(mktemp -d) && "${PYTHON:-python3}" -m pip --quiet download --no-deps --no-cache-dir --retries 0 --dest "$probe" iniconfig; then
      echo "vLLM's environment cannot be built though the package index can be reached" >&2
      exit 1
    fi
    echo "SKIPPED: the tests of vLLM, as the package index cannot be reached"
    exit 0
  fi
  mkdir -p "$(dirname "$env")"
  rm -rf "$env"
  mv "$env.building" "$env"
  touch "$env/.complete"
fi

# this checkout in an environment beside the cached one, as entry points are read from what is installed
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
"$env/bin/python" -m venv --without-pip "$beside"
"$env/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' >"$("$beside/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/vllm.pth"
"$beside/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE "$beside/bin/python" -m pytest -p no:randomly tests/vllm "$@"
