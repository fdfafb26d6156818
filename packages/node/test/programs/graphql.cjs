// The example of graphql-ws: a subscription over its adapter for ws, and its client with the class of ws.

const { GraphQLObjectType, GraphQLSchema, GraphQLString } = require('graphql');
const { createClient } = require('graphql-ws');
const { useServer } = require('graphql-ws/use/ws');
const WebSocket = require('ws');

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { hello: { type: GraphQLString, resolve: () => 'world' } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      greetings: {
        type: GraphQLString,
        subscribe: async function* () {
          for (const hi of ['Hi', 'Bonjour', 'Hola', 'Ciao', 'Zdravo']) yield { greetings: hi };
        },
      },
    },
  }),
});

const server = new WebSocket.WebSocketServer({ port: 0, path: '/graphql' });
const serving = useServer({ schema }, server);

server.on('listening', async () => {
  const url = `ws://localhost:${server.address().port}/graphql`;
  const client = createClient({ url, webSocketImpl: WebSocket });
  for (const query of ['{ hello }', 'subscription { greetings }']) {
    for await (const { data } of client.iterate({ query })) console.log(JSON.stringify(data));
  }
  await client.dispose();
  await serving.dispose();
  console.log('closed');
});
