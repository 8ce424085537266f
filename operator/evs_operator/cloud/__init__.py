"""The cloud's side: the EVS jobs API, its errors, how to sign in, how often to call. Knows no Kubernetes."""
