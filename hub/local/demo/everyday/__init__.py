"""The second act: what happens to agencies in ordinary life, and that it is safe and visible.

`stage` is what a turn may do beyond a scene of the story: give commands as operators do, change the
release, look at all tables at once (`holdings` says what differs) and have the whole region judged by the
proof. Each other module tells a turn or two; `steps` lists them in order. A turn that fails says what was
expected, where, and what was seen, and the act goes on.
"""
