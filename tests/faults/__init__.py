"""What must hold when processes, connections and servers are lost at the worst moments."""
