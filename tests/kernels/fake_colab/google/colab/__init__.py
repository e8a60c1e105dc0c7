"""A fake of the package in Colab's kernels. It has no front end."""
