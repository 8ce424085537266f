"""Where the API server is and as whom to talk to it: in a pod, or with a kubeconfig."""
