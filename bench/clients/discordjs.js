'use strict';
const { Client, Events, GatewayIntentBits } = require('discord.js');
const { api, token, say, serve } = require('./bridge');

const client = new Client({
  intents: Object.values(GatewayIntentBits).filter((bit) => typeof bit === 'number'),
  rest: { api },
});

let chunks = 0;
client.on(Events.ShardReady, () => {
  say('ready', { id: client.user.id });
  for (const guild of client.guilds.cache.values()) {
    if (guild.available) say('guild', { id: guild.id });
  }
});
client.on(Events.MessageCreate, ({ id, content, channelId, author }) => {
  say('message', { id, text: content, channel: channelId, author: author.id });
});
client.on(Events.GuildMembersChunk, () => chunks++);
client.on(Events.ShardResume, () => say('resumed'));
client.on(Events.ShardError, (err) => console.error('error', err));
client.on(Events.Debug, (text) => console.error(text));
client.on(Events.Warn, (text) => console.error('warn', text));

serve({
  async members({ guild }) {
    const members = await client.guilds.cache.get(guild).members.fetch();
    say('members', { ids: [...members.keys()], chunks });
  },
  async post({ channel, content }) {
    const message = await client.channels.cache.get(channel).send(content);
    say('posted', { id: message.id, text: message.content });
  },
}, () => client.destroy());

client.login(token);
