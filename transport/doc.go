// Package transport keeps one MQTT session open over whatever network there is.
package transport
