"""The explorer: a read-only web page on what the API server and the arrays tell. Changes nothing anywhere.

records, rows, table, timeline, whatif are pure. cluster (the API), fleet (the arrays) and rights (the caller) are the
doors; pages and serve put them on the web. Imports provisioner for the API client, placement and orphans, so that a
page never says something else than the commands do.
"""
