"""The webhook: HTTP in front of EvsJobs, for senders outside the cluster that hold an answer of the cloud.

A process of its own (`evs-operator webhook`). Every read and write on behalf of a caller is made with the caller's own
token, so that RBAC, admission, quota and audit are the cluster's; the webhook's own right is to watch EvsJobs, and one
watch wakes all who wait. It imports the operator's `api`, `kube` and `flags`, never its engine.
"""
