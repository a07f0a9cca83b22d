"""A page and a small JSON interface over loaded models; nothing here imports Starlette before something is served."""
