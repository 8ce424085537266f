"""`kubectl evsjob`: creates EvsJobs, waits for them, and explains them to a person or a pipeline.

kubectl is its transport and owns kubeconfig, authentication and proxies. It imports `evs_operator.api` and click, and
nothing else of this project, so that it fits into one file.
"""
