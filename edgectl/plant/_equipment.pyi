"""The campus's equipment; C only, Python sees it through edgectl.plant._physics."""
