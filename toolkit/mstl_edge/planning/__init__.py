"""From images that no recipe knows to a recipe: what is seen of them, and a table of rules that choose.

After nnU-Net (Isensee et al. 2021, Nature Methods 18): a fingerprint of the data, then rules, each with its reason; the recipe
that they make is a file that people read and change.
"""

from mstl_edge.planning.asked import Asked
from mstl_edge.planning.door import Door, which_door
from mstl_edge.planning.plan import Planned, plan_recipe
from mstl_edge.planning.weights_at_hand import FirstWeights, first_weights

__all__ = ["Asked", "Door", "FirstWeights", "Planned", "first_weights", "plan_recipe", "which_door"]
