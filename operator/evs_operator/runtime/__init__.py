"""The process: parts are made, started, watched over and ended in order. `evs-operator run` is this."""
