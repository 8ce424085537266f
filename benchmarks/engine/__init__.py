"""What the engine costs: this operator and two naive ones, side by side against a real kube-apiserver.

`python -m benchmarks.engine` starts a control plane and a light jobs API (`cloud`) for each operator, lets
it follow jobs (`scenarios`), and measures it from outside: CPU seconds and memory from /proc, writes from the
API server's own metrics, latency with a watch of its own, polls from the jobs API. Nothing of the operator
is imported.
"""
