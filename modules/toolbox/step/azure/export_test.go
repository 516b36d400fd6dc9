package azure

import "time"

// SetClock gives a credential another clock.
func SetClock(c *Credential, now func() time.Time) { c.now = now }
