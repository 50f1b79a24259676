package control

import (
	"time"

	"github.com/antano/antano/shared/pluginpb"
)

// FromDrain makes the request to drain within deadline from now.
func FromDrain(deadline time.Duration) *pluginpb.DrainRequest {
	return &pluginpb.DrainRequest{DeadlineNs: int64(max(deadline, 0))}
}

// ToDrain reads how long a drain may take: 0 to a day.
func ToDrain(r *pluginpb.DrainRequest) time.Duration {
	return min(max(time.Duration(r.GetDeadlineNs()), 0), maxDuration)
}
