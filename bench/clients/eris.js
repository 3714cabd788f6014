'use strict';
const Eris = require('eris');
const { api, token, say, serve } = require('./bridge');

const client = new Eris(`Bot ${token}`, { intents: ['all'] });
// eris speaks HTTP over TLS only, so the one request it makes before it connects is made for it.
client.getBotGateway = async () => {
  const headers = { authorization: client._token };
  const answer = await fetch(`${api}/v10/gateway/bot`, { headers });
  return answer.json();
};

let chunks = 0;
client.on('shardReady', () => {
  say('ready', { id: client.user.id });
  for (const id of client.guilds.keys()) say('guild', { id });
});
client.on('messageCreate', ({ id, content, channel, author }) => {
  say('message', { id, text: content, channel: channel.id, author: author.id });
});
client.on('rawWS', ({ t }) => {
  if (t === 'GUILD_MEMBERS_CHUNK') chunks++;
});
client.on('shardResume', () => say('resumed'));
client.on('error', (err) => console.error('error', err));
client.on('debug', (text) => console.error(text));
client.on('warn', (text) => console.error('warn', text));

serve({
  async members({ guild }) {
    const members = await client.guilds.get(guild).fetchMembers();
    say('members', { ids: members.map(({ id }) => id), chunks });
  },
}, () => client.disconnect({ reconnect: false }));

client.connect();
