"""Who goes where: engineers, sites, proposals of the dispatch."""
