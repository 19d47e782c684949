package operator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// thingName is the policy variable for the thing that a certificate is attached to.
const thingName = "${iot:Connection.Thing.ThingName}"

// policy is a policy document of AWS IoT Core; "Policy actions" and "Connect policy examples" in its developer guide.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

const awsNotes = `This is a policy of AWS IoT Core, for the certificates of gateways:

  aws iot create-policy --policy-name linkbeat --policy-document file://policy.json

%s
A gateway's probes have client ids of their own, <id>-p1, <id>-p2 and so on. So no thing may have the name of another thing
followed by -p and more, such as gw-17-pump beside gw-17. AWS closes a connection whenever it denies something.

A user of linkbeatctl needs iot:Connect on client/linkbeatctl-*, and
%s`

const awsThings = `The name of each thing must be the device.id of its gateway. Attach the certificate to that thing exclusively: otherwise the
variable is empty for the probes, whose client ids are not names of things:

  aws iot attach-thing-principal --thing-name gw-17 --principal ARN --thing-principal-type EXCLUSIVE_THING
`

func (a ACL) aws() (rules, notes string, err error) {
	id, hint := a.ID, ""
	if id == "" {
		id, hint = thingName, awsThings
	}
	if a.Region == "" || a.Account == "" {
		hint += "\nREGION and ACCOUNT stand for yours: --region eu-west-1 --account 123456789012\n"
	}
	all := a.gateway(id)
	p := policy{Version: "2012-10-17", Statement: []statement{
		// Nothing beyond these attributes: a will, and a session that outlives its connection.
		{Action: []string{"iot:Connect"}, Resource: a.arns("client", id, id+"-p*"),
			Condition: map[string]map[string][]string{
				"ForAllValues:StringEquals": {"iot:ConnectAttributes": {"LastWill", "PersistentConnect"}}}},
		{Action: []string{"iot:Publish"}, Resource: a.arns("topic", slash(filters(all, true)...)...)},
		{Action: []string{"iot:RetainPublish"}, Resource: a.arns("topic", a.Prefix+"/"+id+"/up/*")},
		{Action: []string{"iot:Subscribe"}, Resource: a.arns("topicfilter", slash(filters(all, false)...)...)},
		{Action: []string{"iot:Receive"}, Resource: a.arns("topic", slash(filters(all, false)...)...)},
	}}
	for i := range p.Statement {
		p.Statement[i].Effect = "Allow"
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		return "", "", err
	}
	notes = fmt.Sprintf(awsNotes, hint, strings.Join(a.awsOperator(), "\n")+"\n")
	return b.String(), notes, nil
}

// arns are resource names.
func (a ACL) arns(kind string, names ...string) []string {
	region, account := orName(a.Region, "REGION"), orName(a.Account, "ACCOUNT")
	var all []string
	for _, n := range names {
		all = append(all, fmt.Sprintf("arn:aws:iot:%s:%s:%s/%s", region, account, kind, n))
	}
	return all
}

// awsOperator is what linkbeatctl needs, a line each.
func (a ACL) awsOperator() (lines []string) {
	all := a.operator()
	for _, f := range slash(filters(all, false)...) {
		lines = append(lines, "  iot:Subscribe on topicfilter/"+f+", iot:Receive on topic/"+f)
	}
	for _, f := range slash(filters(all, true)...) {
		lines = append(lines, "  iot:Publish on topic/"+f)
	}
	return lines
}

func orName(s, name string) string {
	if s == "" {
		return name
	}
	return s
}
