"""Child processes that cannot outlive their starter.

``process`` starts one under a ``guard`` and holds its log; ``ports`` finds free ports. Engines, JupyterLab and pip's
installations use them. ``python`` runs a Python module without a learner's folder on its path.
"""
