"""The threads and CPUs of a question, one module a kind."""
