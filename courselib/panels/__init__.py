"""What a person sees: one panel a file, on a few shared pieces.

``worker`` runs work in a thread and coalesces updates, ``base`` is what all panels have in common, ``token_text``,
``code_fold`` and ``figure`` are views. State is in traits; nothing is printed from a callback.
"""
