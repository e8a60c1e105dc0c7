"""Kubernetes manifests of an engine, from the same settings as the launcher's.

    settings, ClusterSettings --llamacpp, vllm, tgi: pure--> Container --objects: pure--> YAML with reasons

``manifest`` is the function that learners call; ``explained`` writes YAML in which a comment stands above a field.
"""
