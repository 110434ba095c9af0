"""The tray icon: state, quick actions and notifications in a process of its own."""
