package point

// Point is one demand.
type Point struct {
	ID      string
	Title   string // what the plugin has to do
	Section string // of docs/protocol.md, as an anchor
	needs   need
	run     func(*trial) (seen string, err error)
}

// Alone reports whether nothing stands on a gate.
func (p Point) Alone() bool { return p.ID == "cookie" }

// need is what a plugin must have for a point to mean anything; all bits must be met.
type need uint16

const (
	sockets  need = 1 << iota // the manager opens sockets for it
	clients                   // and the kit's clients can talk through them
	streams                   // which are connections
	dialled                   // of the kit's own, not of a command
	reach                     // messages can be sent to clients: can_send
	handles                   // handler
	handover                  // handover
)

// Gates are the points that all others stand on, in order.
var Gates = []Point{
	{"cookie", "without the cookie it says so and exits 1", "handshake", 0, cookie},
	{"handshake", "one line on stdout, then a control plane in its directory", "handshake", 0, handshake},
	{"describe", "Describe is valid, stable, and opens nothing", "describe", 0, describe},
	{"settings", "its schema is one, and accepts the settings", "describe", 0, checkSettings},
	{"hello", "Start dials the relay and says hello first", "hello-1", 0, hello},
	{"start", "Start is answered after welcome, and then it serves", "start", 0, start},
}

// Probe finds out whether the kit can speak for clients.
var Probe = Point{"client", "a client's ping is answered", "inherited-descriptors", sockets, probe}

// Points are all others; their order does not matter.
var Points = []Point{
	{"no-common-version", "offered no version that it speaks it exits 78, of several it chooses", "versions", 0, versions},
	{"control-plane", "go-plugin's health is SERVING, and large requests are read", "handshake", 0, controlPlane},
	{"shutdown", "GRPCController.Shutdown ends it", "handshake", 0, shutdown},
	{"unknown-params", "a Start with a key that it does not know is refused, with exit 78", "start", 0, unknownParams},
	{"health", "every question of health is answered with its number", "health-10-health-ok-11", 0, health},
	{"health-recovery", "after it was stopped and goes on, it is well again", "health-10-health-ok-11", 0, healthRecovery},
	{"slots", "slots are confirmed, and no others are read", "slots-12-13", 0, slots},
	{"bad-frames", "what is no frame closes the link, and it exits 1", "what-closes-a-link", 0, badFrames},
	{"later-versions", "what a later manager may add to the link is ignored", "versions", 0, later},
	{"unknown-result", "results that nobody waits for are ignored", "result-4", 0, unknownResult},
	{"hold", "nothing is sent while the manager says hold", "when-the-manager-goes", 0, hold},
	{"ack", "messages that were read are acknowledged", "ack-35", 0, acknowledge},
	{"not-a-client", "a message to a client that is not there fails", "where-it-goes", 0, notAClient},
	{"handler", "messages to the service reach its handler, or fail as unsupported", "message-3", 0, handler},
	{"handler-load", "each of many messages to the handler has one result", "result-4", handles, handlerLoad},
	{"drain", "Drain waits for what is owed, and no longer than told", "drain", 0, drain},
	{"stop", "Stop is answered, and it exits 0", "stop", 0, stop},
	{"sigterm", "SIGINT is ignored; SIGTERM ends it with 0", "life-of-a-process", 0, sigterm},
	{"link-closed", "it exits 1 when a manager that lives closes the link", "life-of-a-process", 0, linkClosed},
	{"lifeline", "without an adoption window it exits 1 with its manager", "life-of-a-process", 0, lifeline},
	{"orphan", "with a window it serves on, then exits 1", "when-the-manager-goes", 0, orphan},
	{"rejoin", "it rejoins a successor and tells it what it has", "when-the-manager-goes", 0, rejoin},
	{"output", "it serves on when nobody reads what it prints", "logs", 0, output},
	{"restart", "a second generation serves the same sockets, left as they were", "inherited-descriptors", 0, restart},

	{"client-ids", "clients have ids from the granted sequences", "client-ids-more-sequences-14-sequences-15", clients, clientIDs},
	{"sequences", "it asks for more sequences before they run out", "client-ids-more-sequences-14-sequences-15", clients, sequences},
	{"share-page", "its row counts clients and messages", "share-page", clients, sharePage},
	{"clients", "Clients lists who is connected, Kick ends one", "kick", clients, kick},
	{"bad-message", "what is no message is answered, and the client lives on", "codes", clients, badMessage},
	{"too-large", "a message over max_message_bytes is answered too_large", "codes", clients, tooLarge},
	{"send", "a client's message becomes a frame, as it was sent", "message-3", clients, send},
	{"receipts", "results become receipts and errors, each once", "result-4", clients, receipts},
	{"silence", "a message that nobody answers for is a timeout", "result-4", clients, silence},
	{"order-out", "many messages of a client leave in order", "message-3", clients, orderOut},
	{"window", "no more is sent than the window of a lane", "lanes-and-credit-7", clients, window},
	{"pause", "a paused client is sent nothing until resume", "pause-8-resume-9", clients, pause},

	{"deliver", "a message reaches its client, and its result says so", "message-3", clients | reach, deliver},
	{"groups", "members get a group's messages once each", "subscribe-5-unsubscribe-6", clients | reach, groups},
	{"convert", "values are converted to the client's format, or unsupported", "message-3", clients | reach, convert},
	{"order-in", "many messages to a client arrive in order, once", "result-4", clients | reach, orderIn},
	{"slow-client", "a client that does not read holds up nobody else", "pause-8-resume-9", clients | streams | dialled | reach, slowClient},
	{"handover", "its clients move to the next generation", "moves", clients | streams | reach | handover, handOver},
}
