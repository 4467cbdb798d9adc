"""``python -m sagvae_core`` is ``sagvae``: the form that ``accelerate launch -m`` needs."""

from .cli import main

if __name__ == "__main__":
    main()
