"""The push channel: a Mosquitto that only our devices enter, its doorbells and its presences."""
