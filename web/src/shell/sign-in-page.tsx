import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { ApiError } from '../fhir';
import { useTranslation } from '../i18n';
import { EyeInvisibleOutlined, EyeOutlined, LockOutlined, UserOutlined } from '../parts/icons';
import { LightButton, Notice } from '../parts/light';
import { usePageTitle } from '../parts/page';
import { problemText } from '../parts/problem';
import { useSessionActions } from '../session';
import { LanguageSwitch } from './language-switch';
import { Logo } from './logo';

interface SignInFields { name: string; password: string }

export function SignInPage() {
  const { t } = useTranslation();
  const { signIn } = useSessionActions();
  usePageTitle(t('signIn.title'));
  const attempt = useMutation({ mutationFn: ({ name, password }: SignInFields) => signIn(name, password) });

  const [missing, setMissing] = useState<keyof SignInFields>();
  const [shown, setShown] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const fields = { name: String(form.get('name') ?? '').trim(), password: String(form.get('password') ?? '') };
    const empty = fields.name === '' ? 'name' : fields.password === '' ? 'password' : undefined;
    setMissing(empty);
    if (empty) event.currentTarget.querySelector<HTMLInputElement>(`#${empty}`)?.focus();
    else attempt.mutate(fields);
  };

  const refusal = (error: unknown) => {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
      return { title: t('signIn.refused'), lines: [t('signIn.refusedHelp')] };
    }
    return problemText(error, t);
  };
  const problem = attempt.error ? refusal(attempt.error) : undefined;

  return (
    <main className="sign-in">
      <section className="sign-in-picture" aria-hidden="true">
        <Scene />
        <p className="sign-in-motto">{t('signIn.motto')}</p>
      </section>
      <section className="sign-in-panel">
        <div className="sign-in-language"><LanguageSwitch /></div>
        <div className="sign-in-box">
          <div className="sign-in-brand"><span className="logo-tile"><Logo size={34} /></span>{t('app.name')}</div>
          <h1>{t('signIn.title')}</h1>
          <form className="sign-in-form" noValidate onSubmit={submit}>
            <label className="field" htmlFor="name">
              <span>{t('signIn.name')}</span>
              <span className="input-box"><UserOutlined aria-hidden />
                <input id="name" name="name" autoFocus autoComplete="username" autoCapitalize="none" spellCheck={false} aria-invalid={missing === 'name'} aria-describedby="name-missing" />
              </span>
              <span className="field-missing" id="name-missing">{missing === 'name' ? t('signIn.nameMissing') : null}</span>
            </label>
            <label className="field" htmlFor="password">
              <span>{t('signIn.password')}</span>
              <span className="input-box"><LockOutlined aria-hidden />
                <input id="password" name="password" type={shown ? 'text' : 'password'} autoComplete="current-password" aria-invalid={missing === 'password'} aria-describedby="password-missing" />
                <button type="button" className="input-eye" aria-label={t('signIn.show')} aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? <EyeOutlined /> : <EyeInvisibleOutlined />}</button>
              </span>
              <span className="field-missing" id="password-missing">{missing === 'password' ? t('signIn.passwordMissing') : null}</span>
            </label>
            {problem ? <Notice tone="error" title={problem.title}>{problem.lines.join(' ')}</Notice> : null}
            <LightButton kind="primary" type="submit" size="large" busy={attempt.isPending}>{t('signIn.submit')}</LightButton>
          </form>
          <p className="sign-in-note">{t('signIn.note')}</p>
        </div>
      </section>
    </main>
  );
}

function Scene() {
  return (
    <svg viewBox="0 0 800 900" preserveAspectRatio="xMidYMax slice" className="scene">
      <defs>
        <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
          <stop offset="0" stopColor="#0a2e38" />
          <stop offset="0.62" stopColor="#12616a" />
          <stop offset="1" stopColor="#6fb3aa" />
        </linearGradient>
      </defs>
      <rect width="800" height="900" fill="url(#sky)" />
      <circle cx="600" cy="330" r="54" fill="#f3e7c8" opacity="0.92" />
      <path d="M-20 640 130 420l90 110 130-210 120 180 70-80 150 170 150-60v200H-20z" fill="#0f4d57" opacity="0.75" />
      <path d="M-20 690 90 560l110 90 150-180 150 190 110-110 210 140v80H-20z" fill="#0a3a44" />
      <path d="M0 700c70-34 130-34 200 0s130 34 200 0 130-34 200 0 130 34 200 0v200H0z" fill="#0c5560" />
      <path d="M0 750c70-30 130-30 200 0s130 30 200 0 130-30 200 0 130 30 200 0v150H0z" fill="#0a4650" />
      <path d="M0 806c70-26 130-26 200 0s130 26 200 0 130-26 200 0 130 26 200 0v94H0z" fill="#083640" />
    </svg>
  );
}
