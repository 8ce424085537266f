"""The engine: what is watched becomes due, is polled, decided and written. Joins `kube`, `cloud` and `core`."""
