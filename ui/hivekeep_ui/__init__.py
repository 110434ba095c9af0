"""The desktop interface of Hivekeep: tray icon, popup, dashboard and notifications.

Responsible for showing and asking; every decision is the daemon's.  Invariant: this package imports
nothing of the daemon's and talks to it through the published local API only, so that it may crash
and come back at any time.
"""
