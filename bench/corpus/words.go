package corpus

import "strings"

// words is the vocabulary, the most frequent first.
var words = strings.Fields(`
the i to a you and it is that of in so for on me my this was not have be just with but are like
do at lol what if we no can they your all know get up or as there when one out how now its he from
about did good time see think right going yeah really want go why people some more then here too
has will well much thanks back make need would only because even still got her his she them by work
game anyone where an who had okay someone day way new been being which something could than after
over also into people first never nice tomorrow today play server bot help channel music voice role
message update works tried issue error version link check sure maybe probably pretty cool great
sorry
wait actually guess same thing things every always later night morning weekend stream video picture
friend friends team match round build level quest map patch season event party guild raid boss loot
keyboard screen phone laptop browser window linux windows driver install restart download upload
coffee pizza dinner lunch cat dog weather rain summer winter holiday train school exam homework
project deadline meeting code
compile deploy branch merge review commit bug feature test release
python rust golang script function library package database query cache socket thread memory
purple orange silver crystal dragon wizard shadow falcon tiger river mountain forest ocean comet
quantum vector matrix lambda pixel shader turbo nitro hyper mega ultra super`)
