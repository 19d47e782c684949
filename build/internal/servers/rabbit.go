package servers

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// rabbitWait is how long Erlang may take to start on a loaded machine.
const rabbitWait = 60 * time.Second

// rabbitScript is the server itself; /usr/sbin/rabbitmq-server would change to another user and shell.
const rabbitScript = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// RabbitMQ runs a node with the MQTT plugin. Erlang's port mapper, which the node would leave behind as a daemon, is a child of
// ours too.
func RabbitMQ(e *kit.Env, at Place) (*Server, error) {
	s, err := newServer(e, "rabbitmq", at)
	if err != nil {
		return nil, err
	}
	mapper, err := kit.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	dist, err := kit.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	if err := portMapper(e, at, s.name, mapper); err != nil {
		return nil, err
	}
	conf, err := s.file("rabbitmq.conf", fmt.Sprintf("listeners.tcp = none\nloopback_users = none\nmqtt.listeners.tcp.1 = %s\n"+
		"mqtt.allow_anonymous = true\nmqtt.default_user = guest\nmqtt.default_pass = guest\nlog.console = true\n"+
		"log.file = false\n", s.Host))
	if err != nil {
		return nil, err
	}
	plugins, err := s.file("enabled_plugins", "[rabbitmq_mqtt].\n")
	if err != nil {
		return nil, err
	}
	s.argv, s.wait = []string{rabbitScript}, rabbitWait
	s.env = []string{
		"HOME=" + s.dir, "RABBITMQ_NODENAME=lb" + s.port() + "@localhost", "RABBITMQ_CONFIG_FILE=" + conf,
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins, "RABBITMQ_MNESIA_BASE=" + filepath.Join(s.dir, "mnesia"),
		"RABBITMQ_LOG_BASE=" + s.dir, "RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_FEATURE_FLAGS_FILE=" +
			filepath.Join(s.dir, "feature_flags"), "RABBITMQ_PID_FILE=" + filepath.Join(s.dir, "pid"),
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(dist), "ERL_EPMD_PORT=" + strconv.Itoa(mapper), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_ALLOW_INPUT=1", // the script becomes the server: its pid is the one to kill
		// one scheduler that does not spin
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +S 1:1 " +
			"+sbwt none",
	}
	return s, s.startUp()
}

func portMapper(e *kit.Env, at Place, name string, port int) error {
	p, err := e.StartProc(name+"-epmd", at.Netns, nil, "epmd", "-port", strconv.Itoa(port), "-address", "127.0.0.1")
	if err != nil {
		return err
	}
	host := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	err = e.Until("epmd to answer", 10*time.Second, func() bool {
		c, err := kit.Dialer(at.Netns)(e.Ctx, "tcp", host)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Tail(5))
	}
	return nil
}
