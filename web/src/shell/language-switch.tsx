import { Button } from 'antd';
import { switchLanguage, useLanguage } from '../i18n';

export function LanguageSwitch({ dark = false }: { dark?: boolean }) {
  const language = useLanguage();
  const other = language === 'zh' ? 'en' : 'zh';
  return (
    <Button
      type="text"
      size="small"
      className={dark ? 'on-dark' : undefined}
      lang={other === 'zh' ? 'zh-CN' : 'en'}
      onClick={() => switchLanguage(other)}
    >
      {other === 'zh' ? '中文' : 'English'}
    </Button>
  );
}
