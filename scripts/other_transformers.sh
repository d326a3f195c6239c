#!/usr/bin/env bash
# Tests with another version of transformers:  scripts/other_transformers.sh 5.17.0 [pytest's arguments]
# Its environment is that of make (.venv), with this version and what it requires in front of it.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
shift
env=${AUDIO_EVAL_ENVS:-$HOME/.cache/audio-eval/envs}/transformers-$version
here=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ "$(cat "$env/.made" 2>/dev/null)" != "$here" ]; then
  .venv/bin/python -m venv --clear "$env"
  front=$("$env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo "import site; site.addsitedir('$here')" >"$front/behind.pth"
  grep -vE '^(transformers|huggingface_hub)==' constraints.txt >"$env/constraints.txt"
  "$env/bin/python" -m pip install --quiet --constraint "$env/constraints.txt" "transformers==$version"
  echo "$here" >"$env/.made"
fi
"$env/bin/python" -c 'import huggingface_hub as hub, transformers as t; print(f"transformers {t.__version__}, huggingface_hub {hub.__version__}")'
exec "$env/bin/python" -m pytest -p no:randomly "$@"
