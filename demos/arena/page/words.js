// The words of the game's page.

export const WORDS = {
  es: {
    title: 'La bahía', toChat: 'Chat', language: 'Idioma', name: 'Tu nombre', retry: 'Conectar ya', dash: 'Embestir',
    bay: 'La bahía vista desde arriba, con barcos y luces', scores: 'Marcador', bot: (name) => `${name} (bot)`,
    help: 'Recoge las luces. Embiste a quien lleva más, y las soltará.',
    keys: 'Flechas o WASD para navegar · Espacio para embestir',
    touch: 'Arrastra el pulgar para navegar · El botón embiste',
    full: 'La bahía está llena. Habrá sitio cuando alguien se vaya.', asleep: 'Botando tu barco…',
    crew: (people, bots) => `${people} ${people === 1 ? 'persona' : 'personas'}${bots ? ` · ${bots} ${bots === 1 ? 'bot' : 'bots'}` : ''}`,
    bots: ['Boya', 'Faro', 'Ancla', 'Brisa', 'Quilla', 'Marea', 'Vela', 'Timón'],
  },
  en: {
    title: 'The bay', toChat: 'Chat', language: 'Language', name: 'Your name', retry: 'Connect now', dash: 'Ram',
    bay: 'The bay from above, with boats and lights', scores: 'Scores', bot: (name) => `${name} (bot)`,
    help: 'Gather the lights. Ram whoever has more, and they spill some.',
    keys: 'Arrows or WASD to sail · Space to ram',
    touch: 'Drag your thumb to sail · The button rams',
    full: 'The bay is full. There is room when somebody leaves.', asleep: 'Launching your boat…',
    crew: (people, bots) => `${people} ${people === 1 ? 'player' : 'players'}${bots ? ` · ${bots} ${bots === 1 ? 'bot' : 'bots'}` : ''}`,
    bots: ['Buoy', 'Beacon', 'Anchor', 'Breeze', 'Keel', 'Tide', 'Jib', 'Rudder'],
  },
};
