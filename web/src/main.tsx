import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { ApiError } from './fhir';
import { setUpLanguage } from './i18n';
import './styles.css';

const client = new QueryClient({
  defaultOptions: {
    // Whether there is a line is found out by asking: a click must not wait in silence for one.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      staleTime: 20_000,
      refetchOnWindowFocus: true,
      // A refusal stays a refusal; only a broken line is worth another try.
      retry: (count, error) => !(error instanceof ApiError) && count < 2,
    },
  },
});

const root = document.getElementById('root');
const start = (at: HTMLElement) =>
  createRoot(at).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );

if (root) void setUpLanguage().then(() => start(root));
