"""How pretend arrays speak: paths, parameters and the shapes of replies. The rules are in `simulator/state`."""
