import { switchLanguage, useLanguage } from '../i18n';
import { LightButton } from '../parts/light';

export function LanguageSwitch({ dark = false }: { dark?: boolean }) {
  const language = useLanguage();
  const other = language === 'zh' ? 'en' : 'zh';
  return (
    <LightButton
      kind="text"
      size="small"
      className={dark ? 'on-dark' : undefined}
      lang={other === 'zh' ? 'zh-CN' : 'en'}
      onClick={() => switchLanguage(other)}
    >
      {other === 'zh' ? '中文' : 'English'}
    </LightButton>
  );
}
